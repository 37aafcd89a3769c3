"""How a box shows its site in a central system: an outbound connection over which it is looked at (`central:`).

`entry` is the section of the site's file, `dial.CentralLink` the part that `run_site` starts; the protocol is
`pilotwire.protocols.sitelink`. Nothing that comes over it changes anything at the site: a central system can look.
"""
