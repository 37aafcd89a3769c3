"""Devices as data: one YAML file says where a charger, meter, inverter or battery keeps its values.

schema   what stands in a file
load     files → `DeviceFile`, every fault with its place
check    what is wrong with a file though each line of it is well formed
"""
