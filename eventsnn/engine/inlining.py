"""How numba compiles functions that only kernels call: no machine code of their own.

Numba optimises each function that it compiles, makes machine code of it and an entry from Python,
and inlines it into its callers then. Of a function that is always inlined nobody runs that code. So
it is left out here: only the kernel, which has all of them in it, is optimised and becomes machine
code. That saves a fifth of the time of compiling, and changes no result.

The classes below stand in for numba's own by its internal names, as numba 0.60 to 0.68 has them.
"""

from __future__ import annotations

from typing import Any

from numba._dynfunc import make_function
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import NativeLowering


class InlinedLibrary(JITCodeLibrary):
    """The code of a function that is always inlined, to be linked into its callers."""

    def _optimize_final_module(self) -> None:
        """Does nothing: the callers are optimised."""

    def _finalize_final_module(self) -> None:
        """Ends the library without machine code."""
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=False)
class WithoutEntry(LoweringPass):
    """Registers the function that is compiled with an entry from Python that leads nowhere."""

    _name = "eventsnn_without_entry"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """Does so. state: numba's of the function. Returns that it changed it."""
        its, library = state.cr, state.library
        name = its.fndesc.qualname.rpartition(".")[2]
        module = its.fndesc.lookup_module()
        entry = make_function(module, name, "", 0, its.env, (library,))
        state.targetctx.insert_user_function(entry, its.fndesc, [library])
        state.cr = its._replace(cfunc=entry)
        return True


class InnerCompiler(Compiler):
    """Numba's compiler for functions that are always inlined."""

    def define_pipelines(self) -> Any:
        """Numba's own passes, with the library above."""
        state = self.state
        state.flags.no_compile = True
        state.library = InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        passes = super().define_pipelines()
        for manager in passes:
            manager.add_pass_after(WithoutEntry, NativeLowering)
            manager.finalize()
        return passes
