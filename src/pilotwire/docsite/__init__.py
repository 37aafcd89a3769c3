"""The guides as a site: Markdown in, plain HTML out, readable from a folder, a web server or `pilotwire docs serve`.

Nothing is loaded from elsewhere and no script stands in a page. `build(target, document)` writes it.
"""

from .site import BrokenGuide, build

__all__ = ["BrokenGuide", "build"]
