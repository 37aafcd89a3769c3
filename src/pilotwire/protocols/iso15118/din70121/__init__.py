"""DIN SPEC 70121:2012, both ends: DC charging with external payment."""
