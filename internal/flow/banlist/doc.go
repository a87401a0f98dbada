// Package banlist writes down who is banned, for programs that keep him from the door: a
// firewall, Postfix's postscreen, fail2ban.
//
// # On disk
//
// Each Target is one file that is always whole: it is written beside and takes the place of
// the one before (rename). Nothing that a stranger wrote is in it: addresses, networks,
// times, and words of ours.
//
//	nft        sets for "nft -f", with the time that is left of each ban; loading it again
//	           takes the place of what the sets had
//	ipset      for "ipset restore", likewise
//	postscreen a cidr table: "192.0.2.7/32 reject"
//	fail2ban   a line for each ban, with the time when it was written
//	plain      an address or network on each line
//
// # Invariants
//
// Only single addresses and networks up to a /24 or /48 are in it. What is over is not. At
// most Most bans are written, those that last longest. A file that can't be written is told
// once, and tried again with the next change.
//
// A crash leaves the file of before, and perhaps one beside it, which nobody reads.
package banlist
