"""The requests that the stub answers as Clerk's Backend API.

`routes` finds the answer to a request; `listing` and `filters` are the parameters of
`GET /v1/users`. This room knows the parts of an instance, but neither the stub that
holds them nor the server that brings the requests.
"""
