"""Reports: profit and loss, balance sheet, cash flow, and the files made of them."""
