"""The power stage of a DC charger: power modules shared between outputs, what measures and watches them, simulators.

    interfaces   what a power stage, a meter, an isolation monitor and an over-voltage monitor are to the rest
    cabinet      N modules of mixed families, M outputs, a switch matrix: a machine without sockets and clocks
    allocation   which module goes to which output, and why: a pure function
    plant        all of it simulated, with physics: buses, modules, contactors, cables, batteries

We are not the safety MCU: contactors, residual current and the fast over-voltage trip stay in hardware.
"""
