"""How fast and how frugal the gateway is, beside its peers: README.md tells how to run it."""
