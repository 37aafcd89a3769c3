"""SunSpec without sockets: which models there are in a device, where each point lies, and registers that say so.

tables   the models as text (generated)
models   that text as structures; where each point of a model of a given length lies, and its value
walk     `Walk`: finds where a device's chain begins and which models it has, a `Machine` of wants and answers
chain    values → the registers of a whole chain, for servers
"""
