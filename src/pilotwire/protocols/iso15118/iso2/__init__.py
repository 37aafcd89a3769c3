"""ISO 15118-2:2014, both ends: AC and DC, external payment and Plug & Charge."""
