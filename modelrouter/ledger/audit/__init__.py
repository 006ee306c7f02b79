"""The auditor of a book, independent of the code that writes it; and what is read out of a book line by line.

`verify` follows every chain and works every sum out anew, `heads` is what outsiders keep, `archive` moves old lines
out, `export` and `reconcile` put attempts together from their lines.
"""
