"""The Discord client and what joins the parts."""
