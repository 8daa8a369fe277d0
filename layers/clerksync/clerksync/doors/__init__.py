"""What the functions share as entry points: HTTP API, CloudFormation, Step Functions.

Events become requests, and results and exceptions become responses, in one place each.
The rules of sync are not here: this room calls the rooms below it.
"""
