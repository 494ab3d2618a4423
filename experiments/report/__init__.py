"""The report of a study: one self-contained page for somebody who has never seen the tool."""
