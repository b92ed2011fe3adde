"""Decimal, Fraction, big integers, statistics, cmath."""
import cmath
import math
import statistics
from decimal import ROUND_HALF_UP, Decimal, getcontext, localcontext
from fractions import Fraction

getcontext().prec = 28
print(Decimal("0.1") + Decimal("0.2"), Decimal("2.675").quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))
with localcontext() as context:
    context.prec = 50
    print(Decimal(2).sqrt())
print(sum(Fraction(1, n) for n in range(1, 11)), Fraction("3.25").limit_denominator(3))
print(math.factorial(40), math.comb(50, 25), math.gcd(2**40, 6**20), pow(3, 200, 10**9 + 7))
print(math.isclose(0.1 + 0.2, 0.3), math.fsum([0.1] * 10), 0.1 + 0.2, round(2.5), -7 // 2, -7 % 3)
print(statistics.mean([1, 2, 4]), statistics.quantiles(range(1, 12), n=4), statistics.mode("aabbb"))
print(cmath.sqrt(-4), abs(3 + 4j), f"{255:#x} {255:08b} {1234567.891:,.2f} {0.000123:e}")
print(float("inf") > 10**400 if False else "skipped", float("nan") == float("nan"), (0.5).hex(), int("ff", 16))
