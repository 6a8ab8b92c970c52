"""What somebody who signed in sees and changes of the account, and of the books they are in."""
