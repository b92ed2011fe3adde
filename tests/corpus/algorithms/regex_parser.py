"""A tokenizer by regular expressions and a recursive-descent calculator."""
import re
from dataclasses import dataclass

TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<op>[-+*/^()]))")


@dataclass
class Parser:
    text: str
    position: int = 0

    def peek(self):
        match = TOKEN.match(self.text, self.position)
        return match

    def take(self):
        match = self.peek()
        if match is None:
            raise SyntaxError(f"unexpected {self.text[self.position:]!r}")
        self.position = match.end()
        return match

    def at(self, ops):
        match = self.peek()
        return match is not None and match["op"] is not None and match["op"] in ops

    def expression(self):
        value = self.term()
        while self.at("+-"):
            value = value + self.term() if self.take()["op"] == "+" else value - self.term()
        return value

    def term(self):
        value = self.factor()
        while self.at("*/"):
            value = value * self.factor() if self.take()["op"] == "*" else value / self.factor()
        return value

    def factor(self):
        if self.at("-"):
            self.take()
            return -self.factor()
        token = self.take()
        if token["op"] == "(":
            value = self.expression()
            assert self.take()["op"] == ")"
        else:
            value = float(token["number"])
        if self.at("^"):
            self.take()
            value **= self.factor()
        return value


for text, expected in {"1 + 2 * 3": 7, "(1+2)*3": 9, "2^3^2": 512, "-4/2 - -3": 1, "1.5*4": 6}.items():
    value = Parser(text).expression()
    assert value == expected, (text, value)
    print(f"{text} = {value:g}")
try:
    Parser("2 + ?").expression()
except SyntaxError as error:
    print("refused:", error)
log = "2024-02-29 ERROR disk /dev/sda1 97%\n2024-03-01 INFO ok"
print(re.findall(r"^(\d{4})-(\d\d)-(\d\d) (\w+)", log, re.M), re.sub(r"(\d+)%", lambda m: f"{int(m[1]) / 100:.2f}", log).splitlines()[0])
