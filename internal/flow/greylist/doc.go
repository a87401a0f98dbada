// Package greylist has suspicious strangers come again: a letter of theirs is put off for
// minutes, which mail servers bear and most of those who only spray do not.
//
//	RCPT         Gate.Early   who was told to come again in a while, and comes before that
//	end of DATA  Gate.Ask     after the verdict, if that would take the letter
//	after 250    Gate.Taken   who brought a clean letter with proof is no stranger any more
//
// An honest first letter is not delayed: only what has gathered some suspicion is asked
// about at all (Rules.From, in points of the score). The delay grows with suspicion, from
// Rules.Shortest to Rules.Longest, and is told in the reply. It does not begin anew with who
// comes too early, and after Rules.Most a letter is let in whatever brings it.
//
// # Who comes again
//
// Whoever is proven by SPF or DKIM is known by that domain, whatever machine he sends from
// and whatever the sender address is. Of others the network counts (/24 of IPv4, /48 of
// IPv6) together with the sender address, without what changes in it from letter to letter
// (see Plain). Farms retry from elsewhere; they are recognised by the domain of their
// confirmed names, and in the end by the letter itself.
//
// What counts of the recipients is their domain: who splits a letter, or comes again for
// some of them, is known. Who has come back for one of them has come back for all.
//
// # Who never waits
//
// Those whom intake does not ask about: users, trusted machines, devices. Operators of
// farms, networks, names and domains of the settings; hosts and senders that an admin
// allowed; correspondents of a recipient and senders that were seen here before, if they
// are proven; hosts of good reputation; letters for somebody who does not want to wait.
//
// The null sender is never put off at RCPT: somebody may only want to know whether an
// address is there, before he takes mail from it.
//
// # When it is lost
//
// What is known is in store/greylist. Without it, or at another machine that does not share
// it, a stranger waits once more; nobody is ever refused for good.
package greylist
