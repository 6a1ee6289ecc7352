"""Tables of accuracies that papers published, to stand beside one's own; never mixed with them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.views.tables import LINE

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A paper's table.

    title: what it is. note: what its networks and images are, and what ours are not. methods: rows
    of ours that it allows, of the registry. steps: its numbers T. text: a line each of method, ours
    (a name among `methods`, or -), network, data, the ANN's accuracy, and accuracies after `steps`,
    in percent; - where the paper has none.
    """

    title: str
    note: str
    methods: tuple[str, ...]
    steps: tuple[int, ...]
    text: str

    @cached_property
    def rows(self) -> list[Row]:
        """The table: method, ours, network, data, ANN and T = … in percent, None for none."""
        found = []
        for line in self.text.strip().splitlines():
            method, ours, network, data, *numbers = line.split()
            given = [None if text == "-" else float(text) for text in numbers]
            row: Row = {"published": method.replace("_", " "), "ours": "" if ours == "-" else ours}
            row |= {"network": network, "data": data, "ANN": given[0]}
            found.append(row | {f"T = {t}": x for t, x in zip(self.steps, given[1:])})
        return found

    def shown(self) -> list[Row]:
        """`rows` for the screen: figures with two decimals, one below the other."""
        return [
            {
                name: f"{value:5.2f}" if isinstance(value, float) else value or ""
                for name, value in row.items()
            }
            for row in self.rows
        ]

    @property
    def note_lines(self) -> str:
        """`note` for the screen, in lines."""
        return textwrap.fill(self.note, LINE)


OTHERS = (
    "full-width networks trained by the papers' authors; ours are other networks, as "
    "named above; our qcfs is if where --net is of QCFS"
)
TABLES = {
    "gn-2": Published(
        "GN Table 2, as published: accuracy (%) after T steps",
        f"CIFAR-10, CIFAR-100 and ImageNet, {OTHERS}; COS has 8 steps before, ours 4",
        ("if", "if-zero", "gn-4", "gn-6", "srp", "snm", "cos", "snnc-ap", "opi", "qcfs"),
        (1, 2, 4, 8, 16, 32),
        """
QCFS        qcfs    ResNet-18 CIFAR-10  95.64 88.84 91.75 93.83 95.04 95.56 95.67
OPI         opi     ResNet-18 CIFAR-10  96.04 - - - 75.44 90.43 94.82
COS         cos     ResNet-18 CIFAR-10  95.64 95.25 95.45 95.46 95.66 95.68 95.68
SRP         srp     ResNet-18 CIFAR-10  95.64 94.59 95.06 95.25 95.60 95.55 95.55
SNNC-AP     snnc-ap ResNet-18 CIFAR-10  95.46 - - - - - 94.78
GN,_tau=4   gn-4    ResNet-18 CIFAR-10  96.48 96.01 96.36 96.57 96.56 96.50 96.46
QCFS        qcfs    VGG-16    CIFAR-10  95.52 88.41 91.18 93.96 94.95 95.40 95.54
OPI         opi     VGG-16    CIFAR-10  94.57 - - - 90.96 93.38 94.20
COS         cos     VGG-16    CIFAR-10  95.51 94.90 95.36 95.46 95.51 95.57 95.61
SRP         srp     VGG-16    CIFAR-10  95.52 93.80 94.47 95.32 95.52 95.44 95.42
SNNC-AP     snnc-ap VGG-16    CIFAR-10  95.72 - - - - - 93.71
GN,_tau=4   gn-4    VGG-16    CIFAR-10  96.02 95.63 95.84 95.94 96.00 96.02 95.97
QCFS        qcfs    ResNet-20 CIFAR-100 69.94 - 19.96 34.14 55.37 67.33 69.82
OPI         opi     ResNet-20 CIFAR-100 70.43 - - - 23.09 52.34 67.18
COS         cos     ResNet-20 CIFAR-100 69.97 59.22 64.21 65.18 67.17 69.44 70.29
SRP         srp     ResNet-20 CIFAR-100 69.94 46.48 53.96 59.34 62.94 64.71 65.50
RMP         if-zero ResNet-20 CIFAR-100 68.72 - - - - - 27.64
GN,_tau=4   gn-4    ResNet-20 CIFAR-100 68.41 63.89 67.60 68.87 69.38 69.15 69.18
QCFS        qcfs    VGG-16    CIFAR-100 76.28 - 63.79 69.62 73.96 76.24 77.01
OPI         opi     VGG-16    CIFAR-100 76.31 - - - 60.49 70.72 74.82
COS         cos     VGG-16    CIFAR-100 76.28 74.24 76.03 76.26 76.52 76.77 76.96
SRP         srp     VGG-16    CIFAR-100 76.28 71.52 74.31 75.42 76.25 76.42 76.45
SNM         snm     VGG-16    CIFAR-100 74.13 - - - - - 71.80
SNNC-AP     snnc-ap VGG-16    CIFAR-100 77.89 - - - - - 73.55
GN,_tau=4   gn-4    VGG-16    CIFAR-100 76.43 75.61 76.36 76.60 76.85 76.80 76.69
SNNC-AP     snnc-ap ResNet-34 ImageNet  75.36 - - - - - 64.54
QCFS        qcfs    ResNet-34 ImageNet  74.32 - - - 35.06 59.35 69.37
COS         cos     ResNet-34 ImageNet  74.22 69.11 72.66 73.81 74.17 74.14 73.93
SRP         srp     ResNet-34 ImageNet  74.32 57.78 64.32 66.71 67.62 68.02 68.40
GN,_tau=6   gn-6    ResNet-34 ImageNet  74.35 71.46 73.61 73.73 73.57 73.51 73.46
""",
    ),
    "srp-1": Published(
        "SRP Table 1, as published: accuracy (%) after T steps",
        f"CIFAR-10 alone, {OTHERS}",
        ("if", "if-zero", "srp", "snnc-ap", "shift", "rts", "tsc", "tcl", "opi", "qcfs"),
        (1, 2, 4, 8, 16, 32, 64),
        """
RMP        if-zero VGG-16    CIFAR-10 93.63 - - - - - 60.30 90.35
RTS        rts      VGG-16    CIFAR-10 95.72 - - - - - 76.24 90.64
TCL        tcl     VGG-16    CIFAR-10 94.57 - - - - - 93.64 94.26
SNNC-AP    snnc-ap VGG-16    CIFAR-10 95.72 - - - - - 93.71 95.14
OPI        opi     VGG-16    CIFAR-10 94.57 - - - 90.96 93.38 94.20 94.45
QCFS       qcfs    VGG-16    CIFAR-10 95.52 88.41 91.18 93.96 94.95 95.40 95.54 95.55
SRP,_tau=4 srp     VGG-16    CIFAR-10 95.52 93.80 94.47 95.32 95.52 95.44 95.42 95.40
RTS        rts      ResNet-18 CIFAR-10 95.46 - - - - - 84.06 92.48
SNNC-AP    snnc-ap ResNet-18 CIFAR-10 95.46 - - - - - 94.78 95.30
OPI        opi     ResNet-18 CIFAR-10 96.04 - - - 75.44 90.43 94.82 95.92
QCFS       qcfs    ResNet-18 CIFAR-10 95.64 88.84 91.75 93.83 95.04 95.56 95.67 95.63
SRP,_tau=4 srp     ResNet-18 CIFAR-10 95.64 94.59 95.06 95.25 95.60 95.55 95.55 95.58
TSC        tsc     ResNet-20 CIFAR-10 91.47 - - - - - - 69.38
OPI        opi     ResNet-20 CIFAR-10 92.74 - - - 66.24 87.22 91.88 92.57
QCFS       qcfs    ResNet-20 CIFAR-10 91.77 62.43 73.20 83.75 89.55 91.62 92.24 92.35
SRP,_tau=4 srp     ResNet-20 CIFAR-10 91.77 86.37 88.73 90.51 91.37 91.64 91.72 91.80
""",
    ),
    "dnisnm-2": Published(
        "DNISNM Table 2, as published: accuracy (%) after T steps",
        f"CIFAR-10 and CIFAR-100, {OTHERS}; deviations of five runs are left out",
        ("if", "if-zero", "dni", "snm", "snm-dni", "snnc", "shift", "rts", "tcl", "opi", "qcfs"),
        (2, 4, 8, 16, 32),
        """
RMP_(Han_2020)       if-zero VGG-16    CIFAR-10  93.63 - - - - 60.30
RTS_(Deng_2021)      rts      VGG-16    CIFAR-10  95.72 - - - - 88.79
RNL_(Ding_2021)      tcl     VGG-16    CIFAR-10  92.82 - - - 57.90 85.40
OPI_(Bu_2022)        opi     VGG-16    CIFAR-10  94.57 - - 90.96 93.38 94.20
SNNC_(Li_2022)       snnc    VGG-16    CIFAR-10  95.60 - 86.57 91.41 93.64 94.81
QCFS_(Bu_2023)       qcfs    VGG-16    CIFAR-10  95.52 91.18 93.96 94.95 95.40 95.54
DNISNM               snm-dni VGG-16    CIFAR-10  95.67 90.17 94.14 95.14 95.45 95.68
RTS_(Deng_2021)      rts      ResNet-18 CIFAR-10  95.46 - - - - 84.06
RNL_(Ding_2021)      tcl     ResNet-18 CIFAR-10  93.06 - - - 47.63 83.95
OPI_(Bu_2022)        opi     ResNet-18 CIFAR-10  96.04 - - 75.44 90.43 91.88
SNNC_(Li_2022)       snnc    ResNet-18 CIFAR-10  96.72 - 84.70 92.98 95.51 96.45
QCFS_(Bu_2023)       qcfs    ResNet-18 CIFAR-10  96.04 75.44 90.43 94.82 95.92 96.08
DNISNM               snm-dni ResNet-18 CIFAR-10  96.47 76.69 89.40 94.57 96.19 96.46
RMP_(Han_2020)       if-zero VGG-16    CIFAR-100 71.22 - - - - 63.76
RTS_(Deng_2021)      rts      VGG-16    CIFAR-100 77.89 - - - - 7.64
OPI_(Bu_2022)        opi     VGG-16    CIFAR-100 76.31 - - 60.49 70.72 74.82
SNNC_(Li_2022)       snnc    VGG-16    CIFAR-100 77.93 - 55.60 64.13 72.23 75.53
QCFS_(Bu_2023)       qcfs    VGG-16    CIFAR-100 76.28 63.79 69.62 73.96 76.24 77.01
DNISNM               snm-dni VGG-16    CIFAR-100 77.29 64.89 73.58 76.35 77.22 77.47
RTS_(Deng_2021)      rts      ResNet-18 CIFAR-100 77.16 - - - - 51.27
OPI_(Bu_2022)        opi     ResNet-18 CIFAR-100 79.36 - - 57.70 72.85 77.86
SNNC_(Li_2022)       snnc    ResNet-18 CIFAR-100 81.51 - 54.96 71.86 78.13 80.56
QCFS_(Bu_2023)       qcfs    ResNet-18 CIFAR-100 78.80 70.79 75.67 78.48 79.48 79.62
DNISNM               snm-dni ResNet-18 CIFAR-100 79.22 55.48 62.0 74.24 78.47 79.10
""",
    ),
    "spikezip-3": Published(
        "SpikeZIP Table 3, as published: accuracy (%) after T steps",
        f"CIFAR-100 and ImageNet alone, so no figure is of the images of our networks; {OTHERS}; "
        "Offset and SRP take further steps for calibration",
        ("if", "st-bif", "spikezip-code", "snm", "cos", "radix", "signed", "slip", "opi", "qcfs"),
        (2, 4, 8, 16),
        """
OPI         opi    VGG-16    CIFAR-100 76.31 - - 60.49 70.72
QCFS        qcfs   VGG-16    CIFAR-100 76.28 63.79 69.62 73.63 76.24
SlipReLU    slip   VGG-16    CIFAR-100 70.03 58.66 62.56 66.31 69.35
Fast-SNN    signed VGG-16    CIFAR-100 68.16 58.09 65.53 66.67 66.74
SpikeZIP-P  st-bif VGG-16    CIFAR-100 77.07 64.63 75.19 77.02 76.99
OPI         opi    ResNet-20 CIFAR-100 70.43 - - 23.09 52.34
QCFS        qcfs   ResNet-20 CIFAR-100 69.94 19.96 34.14 55.37 67.33
SlipReLU    slip   ResNet-20 CIFAR-100 68.40 23.79 37.94 57.20 66.61
Fast-SNN    signed ResNet-20 CIFAR-100 68.08 37.88 62.39 68.12 68.08
SpikeZIP-PR st-bif ResNet-20 CIFAR-100 70.10 44.90 63.58 68.65 70.07
OPI         opi    VGG-16    ImageNet  74.85 - - 6.25 36.02
QCFS        qcfs   VGG-16    ImageNet  74.29 - - 19.12 50.97
SlipReLU    slip   VGG-16    ImageNet  71.99 - - - 51.54
Fast-SNN    signed VGG-16    ImageNet  73.02 52.69 71.13 72.94 73.29
SpikeZIP-P  st-bif VGG-16    ImageNet  73.90 59.04 72.27 73.75 73.90
QCFS        qcfs   ResNet-34 ImageNet  74.32 - 12.75 35.06 59.35
SlipReLU    slip   ResNet-34 ImageNet  75.08 - - - 43.76
SpikeZIP-PR st-bif ResNet-34 ImageNet  73.85 15.39 64.46 72.91 73.91
""",
    ),
    "tcl-2": Published(
        "TCL Table II and Table I, as published: accuracy (%) after T steps",
        f"CIFAR-10 and ImageNet, {OTHERS}; alpha is the coefficient of L2 that training had; "
        "T = 30 and above 150, and most networks of others, are left out",
        ("if", "if-zero", "largest", "percentile-99-9", "spike-norm", "tcl"),
        (20, 25, 35, 100, 150),
        """
TCL,_alpha=5e-4 tcl VGG-16    CIFAR-10 93.49 88.33 92.02 92.66 93.33 -
TCL,_alpha=1e-3 tcl VGG-16    CIFAR-10 93.25 92.60 93.03 93.12 -     -
TCL,_alpha=1e-4 tcl ResNet-20 CIFAR-10 92.20 85.55 87.88 89.88 91.78 92.06
TCL,_alpha=5e-4 tcl ResNet-20 CIFAR-10 91.58 89.63 90.50 91.22 -     -
TCL,_alpha=1e-4 tcl MobileNet CIFAR-10 91.68 -     -     20.53 -     91.26
TCL,_alpha=5e-4 tcl MobileNet CIFAR-10 91.17 -     -     87.50 -     -
TCL,_alpha=1e-4 tcl VGG-16    ImageNet 73.91 -     57.42 67.59 -     73.79
TCL,_alpha=1e-3 tcl VGG-16    ImageNet 73.22 -     65.72 70.75 -     -
Diet-SNN_(Rathi_2020) - VGG-16 CIFAR-10 93.72 92.64 - - - -
Diet-SNN_(Rathi_2020) - ResNet-20 CIFAR-10 92.79 - 92.14 - - -
""",
    ),
}


def table(name: str) -> Published:
    """A paper's table. name: one of TABLES. Raises InputError for any other."""
    if name not in TABLES:
        raise InputError("table", f"one of {', '.join(TABLES)}", repr(name))
    return TABLES[name]
