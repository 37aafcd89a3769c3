"""Where SLAC is spoken: an Ethernet interface of Linux with a power-line modem behind it, or a simulated power line."""

from .beside import Beside, EvBeside
from .ethernet import EthernetPort, NoRawEthernet
from .plug import EvPlug, EvsePlug
from .powerline import Powerline, Station

__all__ = ["Beside", "EthernetPort", "EvBeside", "EvPlug", "EvsePlug", "NoRawEthernet", "Powerline", "Station"]
