"""Money under load: many processes, kills, stops and outages against one book, through the whole Router."""
