"""The calls of the array API standard that a sweep tries, as text that a program can repeat."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from array_agreement.targets import Function

TABLE = """
elementwise fc: acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 sin sinh sqrt tan
elementwise fc: tanh
elementwise fc: reciprocal divide(x,y) pow(x,y) pow(x,3)
elementwise iu: pow(x,y%5) floor_divide(x,y|1) remainder(x,y|1)
elementwise iufc: abs positive square sign round add(x,y) subtract(x,y) multiply(x,y) isfinite isinf isnan
elementwise ifc: negative
elementwise c: real imag conj
elementwise f: floor_divide(x,y) remainder(x,y) atan2(x,y) copysign(x,y) hypot(x,y) logaddexp(x,y)
elementwise f: nextafter(x,y) signbit
elementwise iuf: ceil floor trunc maximum(x,y) minimum(x,y) clip(x,y) clip(x,1,5)
elementwise iuf: less(x,y) less_equal(x,y) greater(x,y) greater_equal(x,y)
elementwise biufc: equal(x,y) not_equal(x,y) where(x==y,x,y)
elementwise biuf: astype(x,xp.bool) astype(x,xp.float32) astype(x,xp.float64) astype(x,xp.int32)
elementwise biuf: astype(x,xp.complex64)
elementwise biu: bitwise_invert bitwise_and(x,y) bitwise_or(x,y) bitwise_xor(x,y)
elementwise iu: bitwise_left_shift(x,y&7) bitwise_right_shift(x,y&7)
elementwise b: logical_not logical_and(x,y) logical_or(x,y) logical_xor(x,y)
reduction iufc: sum sum(x,axis=0) sum(x,axis=-1,keepdims=True) prod(x,axis=0) vecdot(x,y)
reduction iufc: cumulative_sum(x,axis=1) cumulative_sum(x,axis=0,include_initial=True)
reduction iufc: cumulative_prod(x,axis=0)
reduction iufc: diff(x,axis=1) linalg.trace tensordot(x,y,axes=2)
reduction fc: mean(x,axis=1) mean linalg.vector_norm(x,axis=0) linalg.vector_norm(x,ord=1)
reduction f: var(x,axis=1,correction=1) std(x,axis=0) linalg.vector_norm(x,ord=3)
reduction biufc: all(x,axis=1) any(x,axis=0) any count_nonzero(x,axis=1)
reduction iuf: max max(x,axis=1) min(x,axis=0) xp.sum(xp.unique_counts(x).counts)
reduction iuf: xp.sum(xp.unique_all(x).counts) (lambda.u:u.values[u.inverse_indices])(xp.unique_inverse(x))
order iuf: argmax(x,axis=1) argmin sort(x,axis=0) sort(x,descending=True) argsort(x,axis=1)
order iuf: searchsorted(s,x[0,:]) searchsorted(s,x[0,:],side="right") xp.sort(xp.unique_values(x))
order iu: isin(x,y)
shape biufc: concat([x,y],axis=0) stack([x,y],axis=1) flip(x,axis=1) flip roll(x,2,axis=1)
shape biufc: roll(x,(1,-2),axis=(0,1))
shape biufc: repeat(x,2,axis=1) tile(x,(2,1)) reshape(x,(-1,)) permute_dims(x,(1,0)) moveaxis(x,0,1)
shape biufc: unstack(x,axis=1)
shape biufc: expand_dims(x,axis=1) squeeze(x[:1,:],axis=0) broadcast_to(x,(2,*x.shape)) matrix_transpose
shape biufc: take(x,i,axis=1) take_along_axis(x,i[None,:],axis=1) tril(x,k=-1) triu(x,k=1)
shape biufc: linalg.diagonal(x,offset=1)
shape biufc: broadcast_arrays(x,x[:1,:]) zeros_like ones_like full_like(x,1) nonzero meshgrid(x[0,:],y[:,0])
shape iufc: eye(3,4,k=1,dtype=x.dtype) full((2,),3,dtype=x.dtype) ones((2,1),dtype=x.dtype)
shape iufc: linalg.outer(x[0,:],y[0,:])
shape ifc: linalg.cross(x[:,:3],y[:,:3])
shape if: arange(2,9,3,dtype=x.dtype) arange(5,-5,-2,dtype=x.dtype)
shape f: linspace(-1,2,20,dtype=x.dtype) linspace(0,1,7,endpoint=False,dtype=x.dtype)
shape f: fft.fftfreq(9,d=0.1,dtype=x.dtype)
shape f: fft.rfftfreq(8,dtype=x.dtype)
matrix iufc: matmul(A,B)
matrix fc: tensordot(A,B,axes=1) linalg.det(A) linalg.inv(A) linalg.solve(A,B) linalg.eigvalsh(S)
matrix fc: xp.astype(xp.linalg.eigvals(A),xp.complex128)
matrix fc: linalg.svdvals(A) linalg.matrix_norm(A) linalg.matrix_norm(A,ord=2) linalg.matrix_norm(A,ord=1)
matrix fc: linalg.matrix_norm(A,ord=float("inf")) linalg.matrix_norm(A,ord="nuc") linalg.matrix_power(A,3)
matrix fc: linalg.matrix_rank(A) linalg.pinv(A) linalg.cholesky(P) linalg.slogdet(A)
matrix fc: (lambda.q:q.Q@q.R)(xp.linalg.qr(A))
matrix fc: (lambda.w:(w.U*w.S)@w.Vh)(xp.linalg.svd(A,full_matrices=False))
matrix fc: (lambda.e:(e.eigenvectors*e.eigenvalues)@xp.conj(e.eigenvectors.mT))(xp.linalg.eigh(S))
fourier c: fft.fft fft.ifft fft.fftn fft.ifftn fft.irfft fft.hfft fft.fftshift fft.ifftshift fft.fft(x,n=7)
fourier f: fft.rfft fft.rfftn fft.ihfft fft.rfft(x,norm="ortho")
"""
"""Lines "group kinds: calls". Kinds are those of NumPy's dtypes. A name alone is called with x."""
DTYPES = {
    "b": "bool",
    "i": "int8 int16 int32 int64",
    "u": "uint8 uint16 uint32 uint64",
    "f": "float32 float64",
    "c": "complex64 complex128",
}


def compile_function(parameters: list[str], text: str, **names: Any) -> Function:
    """Return the function of these parameters with this text as its result, which uses ``names``."""
    function: Function = eval(f"lambda {', '.join(parameters)}: {text}", names)
    return function


@dataclass(frozen=True)
class Expression:
    """One call of a function of the standard.

    Args:
        group: "elementwise", "reduction", ...: which arguments it takes
        text: Python code with ``xp`` and the arguments, which have one letter
    """

    group: str
    text: str

    @property
    def name(self) -> str:
        """The function's name in the standard, with its extension: that of the last call in the text."""
        return str(re.findall(r"xp\.([\w.]+)\(", self.text)[-1])

    @property
    def arguments(self) -> list[str]:
        """The names of the arrays."""
        return sorted(set(re.findall(r"(?<![\w.\"])[xysiABSP](?![\w(\"])", self.text)))

    @property
    def is_elementwise(self) -> bool:
        return self.group == "elementwise"

    @property
    def f(self) -> Function:
        """``f(xp, *arrays)``"""
        return compile_function(["xp", *self.arguments], self.text)


def expressions(pattern: str = "*") -> Iterator[tuple[Expression, str]]:
    """Yield (expression, dtype) of the functions whose names match a pattern such as "linalg.*,exp"."""
    for line in TABLE.strip().splitlines():
        head, _, calls = line.partition(": ")
        group, kinds = head.split()
        for call in calls.split():
            text = call.replace("lambda.", "lambda ")
            text = text if "(" in text else f"{text}(x)"
            text = text if text.startswith(("xp.", "(")) else f"xp.{text}"
            expression = Expression(group, text)
            if any(fnmatch(expression.name, x) for x in pattern.split(",")):
                yield from ((expression, dtype) for kind in kinds for dtype in DTYPES[kind].split())
