"""The names that applications usually give to a users table and to its columns."""

import re
from typing import Final

from clerksync.schema.not_null_values import ACTIVE, TEXTS

TIMES: Final = frozenset({"timestamp with time zone", "timestamp without time zone"})
BOOLEAN: Final = frozenset({"boolean"})
JSONB: Final = frozenset({"jsonb"})

# All names below are plain: lower case, without underscores. The likeliest come first.
CLERK_ID: Final = (
    "clerkid",
    "clerkuserid",
    "userclerkid",
    "clerkuid",
    "clerkuser",
    "clerk",
    "externaluserid",
    "externalauthid",
    "externalid",
    "authuserid",
    "authid",
    "authproviderid",
    "provideruserid",
)
EMAIL: Final = ("email", "emailaddress", "primaryemail", "useremail", "mail")
CREATED: Final = ("createdat", "insertedat", "created", "createdon", "datecreated")
UPDATED: Final = (
    *("updatedat", "modifiedat", "updated", "modified", "updatedon", "dateupdated"),
    *("lastmodified", "lastmodifiedat", "modifiedon", "dateupdated"),
)
DELETED: Final = ("deletedat", "removedat", "deleted", "goneat", "deletedon")
TIER: Final = ("tier", "plan", "subscriptiontier", "subscriptionplan", "plantier")
SOURCES: Final = (
    ("first_name", TEXTS, ("firstname", "givenname", "forename", "fname", "first")),
    ("last_name", TEXTS, ("lastname", "familyname", "surname", "lname", "last")),
    ("name", TEXTS, ("fullname", "name", "displayname", "realname")),
    ("username", TEXTS, ("username", "userhandle", "handle", "login")),
    (
        "phone_number",
        TEXTS,
        ("phonenumber", "phone", "mobilenumber", "mobile", "telephone", "cellphone"),
    ),
    (
        "image_url",
        TEXTS,
        (
            *("imageurl", "avatarurl", "profileimageurl", "pictureurl", "photourl"),
            *("profilepictureurl", "profilephotourl", "image", "avatar", "picture"),
            *("photo", "profileimage", "profilepicture", "profilephoto"),
        ),
    ),
    ("public_metadata", JSONB, ("publicmetadata", "clerkpublicmetadata")),
    ("private_metadata", JSONB, ("privatemetadata", "clerkprivatemetadata")),
    ("unsafe_metadata", JSONB, ("unsafemetadata", "clerkunsafemetadata")),
    ("banned", BOOLEAN, ("banned", "isbanned", "clerkbanned")),
    ("external_id", TEXTS, ("externalid",)),
    (
        "created_at",
        TIMES,
        (
            *("clerkcreatedat", "datejoined", "joinedat", "signedupat"),
            *("registeredat", "signupat", "signupdate"),
        ),
    ),
    ("updated_at", TIMES, ("clerkupdatedat",)),
)
"""Of Clerk's fields: the types that a column may have, and its usual names."""

SUGGESTED: Final = (
    (
        "public_metadata",
        JSONB,
        ("metadata", "usermetadata"),
        "sync would overwrite what your application keeps there",
    ),
    (
        "not banned",
        BOOLEAN,
        ACTIVE,
        "sync would overwrite what your application sets",
    ),
    (
        "banned",
        BOOLEAN,
        ("isblocked", "blocked", "suspended", "issuspended", "disabled", "isdisabled"),
        "sync would overwrite what your application sets",
    ),
    ("locked", BOOLEAN, ("locked", "islocked"), "sync would overwrite it"),
    (
        "locale",
        TEXTS,
        ("locale",),
        "sync would overwrite what your users choose in your application",
    ),
    (
        "last_sign_in_at",
        TIMES,
        ("lastsigninat", "lastlogin", "lastloginat", "currentsigninat"),
        "each run would write all users who have signed in since the last one",
    ),
    (
        "last_active_at",
        TIMES,
        ("lastactiveat", "lastseenat", "lastactive", "lastseen"),
        "each run would write all users who were active since the last one",
    ),
)
"""Sources that may be meant, and why only the owner can say so."""

COMPANIONS: Final = re.compile(
    r"profile|settings?|preferences?|prefs|credits?|wallet|balance|quota|usage|stats"
)
"""Tables whose rows an application usually expects for each user."""
