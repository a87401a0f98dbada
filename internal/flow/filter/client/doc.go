// Package client judges what a client shows of itself before it says anything of
// substance: its name in the DNS, what it calls itself, and how it behaves at the door.
//
//	client  at HELO  the name of the address leads back to it (FCrDNS), or looks like one of
//	                 many that a provider gives to lines at home; what HELO says
//	door    at end   it talked before the greeting, did not wait, ended lines its own way,
//	                 spoke HTTP; today or in the last thirty days
//
// # Who pays
//
// Many honest servers are run by people whose trade it is not: a Synology that says HELO
// DISKSTATION, a Windows server with a made-up domain, a machine whose provider gives no
// names to IPv6 addresses. Each such thing costs less than a point, and all of them together
// no more than amateurMost. Dear is only what no honest server does: to call itself by our
// name, by an address without brackets, by letters thrown together, or to talk before it is
// greeted. No country, provider or list of names is behind any of it, only the form of names.
//
// What the DNS could not tell costs nothing. Every sentence says what the admin over there
// could set right.
//
// The package keeps nothing, and asks the resolver's cache first.
package client
