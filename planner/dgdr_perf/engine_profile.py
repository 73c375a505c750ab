"""What is known of one engine: both curves, and what its KV cache holds."""

from dataclasses import dataclass, field
from typing import Self

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.transfer import Transfer
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.prefill_curve import PrefillCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """Performance of one prefill and one decode replica.

    Everything here is per engine, whatever GPUs it has. ``max_num_seqs`` is how
    many requests a decode engine runs at once at most; None is unknown and limits nothing.
    ``transfer`` is what lies between the two; None where one engine does both, or nobody said.
    ``data`` is what the curves were fitted to, for those who interpolate it in another way.
    """

    prefill: PrefillCurve
    decode: DecodeSurface
    max_kv_tokens: int
    max_num_seqs: int | None = None
    transfer: Transfer | None = None
    data: tuple[PrefillData, DecodeData] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, prefill: PrefillData, decode: DecodeData) -> Self:
        """Fit to stored profile data.

        Raises:
            ProfileError: names the point that cannot be used.
        """
        return cls(
            prefill=PrefillCurve.of(prefill),
            decode=DecodeSurface.of(decode),
            max_kv_tokens=decode.max_kv_tokens,
            max_num_seqs=decode.max_num_seqs,
            transfer=prefill.transfer,
            data=(prefill, decode),
        )

    @classmethod
    def from_json(cls, prefill: str, decode: str) -> Self:
        """Fit to the two JSON files of a profile ConfigMap.

        Raises:
            ProfileDataError: the text is not profile data.
            ProfileError: names the point that cannot be used.
        """
        return cls.of(PrefillData.from_json(prefill), DecodeData.from_json(decode))
