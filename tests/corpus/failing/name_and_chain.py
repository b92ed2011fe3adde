"""A NameError while handling another error."""


class CustomError(Exception):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


try:
    raise CustomError(7)
except CustomError as error:
    print("caught", error, error.code)
    undefined_function(error.code)
