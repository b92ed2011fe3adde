"""A small database in the working directory."""
import os
import sqlite3

connection = sqlite3.connect("inventory.db")
connection.row_factory = sqlite3.Row
with connection:
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, qty INT, price REAL)")
    connection.executemany(
        "INSERT INTO item (name, qty, price) VALUES (?, ?, ?)", [("bolt", 120, 0.1), ("nut", 80, 0.05), ("gear", 7, 12.5)]
    )
try:
    with connection:
        connection.execute("INSERT INTO item (name, qty, price) VALUES ('cam', 1, 1)")
        connection.execute("INSERT INTO item (name, qty, price) VALUES ('bolt', 1, 1)")
except sqlite3.IntegrityError as error:
    print("rolled back:", error)
for row in connection.execute("SELECT name, qty * price AS value FROM item ORDER BY value DESC"):
    print(f"{row['name']:6s} {row['value']:8.2f}")
connection.create_function("double", 1, lambda v: v * 2)
print(connection.execute("SELECT count(*), double(sum(qty)) FROM item").fetchone()[:])
connection.close()
print(os.path.exists("inventory.db"))
memory = sqlite3.connect(":memory:")
print(memory.execute("SELECT upper('ok')").fetchone()[0])
