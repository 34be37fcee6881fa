"""The search at scale, beside other vector stores on the same vectors: `make bench-search`.

people.py draws a gallery and says who may be found by whom; reference.py finds the right answers by
comparing everything; product.py and peers/ answer the same searches; measure.py takes the time;
results/ writes it down.
"""
