"""Where the packages of the distribution lie; all else about it is in pyproject.toml.

The wheel carries configs/ and experiments/ in elsa/bundled/, so that it takes one name in an
environment, `elsa`; `elsa/__main__.py` finds them there, and in a checkout beside elsa/.
"""

from setuptools import find_namespace_packages, setup

_BUNDLED = ("configs", "experiments")
_CACHES = ["*__pycache__*"]

setup(
    packages=[
        *find_namespace_packages(include=["elsa", "elsa.*"], exclude=_CACHES),
        *(
            f"elsa.bundled.{package}"
            for name in _BUNDLED
            for package in find_namespace_packages(include=[name, f"{name}.*"], exclude=_CACHES)
        ),
    ],
    package_dir={f"elsa.bundled.{name}": name for name in _BUNDLED},
)
