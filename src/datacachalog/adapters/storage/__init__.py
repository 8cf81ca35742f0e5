"""Places where objects live, and what puts them together behind one port."""
