"""Network connection profiles: what is taken, and where the station connects with them."""

from __future__ import annotations

import pytest

from pilotwire.station.networks import NetworkProfile
from pilotwire.station.program import Station

VERSIONS = ("2.0.1", "2.1")


class Places:
    """Makes dialers for profiles: to the one network there is, or to nowhere."""

    def __init__(self, world):
        self.world = world
        self.asked: list[NetworkProfile] = []
        self.attempts: list[str] = []

    def __call__(self, profile):
        self.asked.append(profile)
        inner = self.world.network.dialer("CS-1", user="CS-1", password=b"secret")
        places = self

        class Dialer:
            def dial(self, receiver, offered, done):
                places.attempts.append(profile.url)
                if "nowhere" in profile.url:
                    from pilotwire.transport.port import DialResult

                    places.world.scheduler.call_later(10, lambda: done(DialResult(status=0, reason="nobody")))
                else:
                    inner.dial(receiver, offered, done)

        return Dialer()


def ready(make_world, version, *, places=True):
    world = make_world(version)
    world.places = Places(world)
    build = world.build

    def with_networks(config=None):
        if not places:
            return build(config)
        return Station(
            world.config,
            world.scheduler,
            world.network.dialer("CS-1", user="CS-1", password=b"secret"),
            world.ids,
            world.random,
            world.storage,
            networks=world.places,
        )

    world.build = with_networks
    world.station = world.build()
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def profile(world, slot=2, url="ws://csms.example/ocpp", **more):
    m = world.csms.messages
    fields = {"ocpp_interface": "Wired0", "ocpp_transport": "JSON", "message_timeout": 30, "security_profile": 1}
    fields["ocpp_version"] = "OCPP20"
    data = m.NetworkConnectionProfileType(ocpp_csms_url=url, **{**fields, **more})
    return ask(world, "SetNetworkProfile", configuration_slot=slot, connection_data=data).status


def order(world, slots):
    m = world.csms.messages
    row = m.SetVariableDataType(
        attribute_value=slots,
        component=m.ComponentType(name="OCPPCommCtrlr"),
        variable=m.VariableType(name="NetworkConfigurationPriority"),
    )
    return ask(world, "SetVariables", set_variable_data=[row]).set_variable_result[0].attribute_status


def active(world):
    return world.station.settings.text("active_network")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_refused(make_world, version):
    world = ready(make_world, version)
    assert profile(world, slot=9) == "Rejected"  # B09.FR.05
    assert profile(world, security_profile=0) == "Rejected"
    assert profile(world, ocpp_transport="SOAP") == "Rejected"
    assert profile(world, url="wss://csms.example") == "Rejected"
    assert profile(world, url="ws://csms.example", security_profile=2) == "Rejected"
    assert profile(world, url="ws://") == profile(world, url="ws://host:x/") == "Rejected"
    assert profile(world, message_timeout=0) == "Rejected"
    assert order(world, "2,1") == "Rejected"  # B10.FR.02: nothing is in slot 2
    assert order(world, "") == order(world, "1,frog") == "Rejected"
    assert not world.station.networks.profiles


@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_whose_connection_is_fixed(make_world, version):
    world = ready(make_world, version, places=False)
    assert profile(world) == "Rejected" and order(world, "2") == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_profile_counts_after_the_restart(make_world, version):
    world = ready(make_world, version)
    assert profile(world) == "Accepted"
    assert order(world, "2,1") == "RebootRequired"
    assert active(world) == "1" and not world.places.attempts
    assert ask(world, "Reset", type="Immediate").status == "Accepted"
    world.run(30)
    assert world.station.online and active(world) == "2"
    assert world.places.attempts == ["ws://csms.example/ocpp"]
    assert (world.places.asked[0].slot, world.places.asked[0].timeout_s) == (2, 30)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_way_back(make_world, version):
    """B10.FR.03, .07: after its attempts a dead entry gives way to the next one."""
    world = ready(make_world, version)
    assert profile(world, 3, "ws://nowhere.example") == "Accepted"
    assert order(world, "3,1") == "RebootRequired"
    ask(world, "Reset", type="Immediate")
    world.run(300)
    assert world.places.attempts == ["ws://nowhere.example"] * 3
    assert world.station.online and active(world) == "1"
    world.offline()
    world.run(3600)
    assert set(world.places.attempts) == {"ws://nowhere.example"} and len(world.places.attempts) > 3
    world.online()
    world.run(900)
    assert world.station.online and active(world) == "1"
