"""Where SLAC is spoken: an Ethernet interface of Linux with a power-line modem behind it, or a simulated power line."""

from .ethernet import EthernetPort, NoRawEthernet
from .powerline import Powerline, Station

__all__ = ["EthernetPort", "NoRawEthernet", "Powerline", "Station"]
