"""What the API can do, by resource: functions of (context, principal, …) that HTTP and the console call alike.

Each checks the permission, applies the scope, validates, writes, audits and tells the bus; each raises `Problem`.
"""
