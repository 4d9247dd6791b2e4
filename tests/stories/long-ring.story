# A ring of ten thousand is refused with its path, and costs no stack.
ring 10000
statuses
