"""The OCPP local controller: stations connect to the box, the box to one or more central systems in their name.

    frames       an OCPP-J frame read no further than needed, and changed without touching the rest of its bytes
    uplink       one WebSocket to one upstream in the name of one station
    forwarder    what waits for an upstream: live calls, and the durable queue of what must not be lost
    downlink     the station's connection; calls to it one at a time, whoever asks
    seat         one station: who gets what
    keeping      of what it says, that which must not be lost
    seams        what a seat needs of the parts around it; `notes`: what it remembers
    rules        what is done with each action, and what is answered while the central system is away
    renaming     1.6 transaction ids as the station knows them, and as each upstream does
    tokens       who may charge while nobody can be asked
    smart        upstream's charging profiles kept apart and merged by minimum with the site's
    evse         a charger behind OCPP as the control loop sees it; `observing`: what its station says
    north        a 1.6 station as an upstream of 2.0.1 sees it (`north_asks`, `north_words`)
    controller   all stations: admission, start, status

Callback code over `core.time.Scheduler`; `live` alone has sockets. Nothing here imports the csms or station app.
"""
