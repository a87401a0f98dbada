// Package limit counts, so that nobody gets more than his share: events by key
// over a window of time, those present by key, and what the process as a whole
// may use. It knows no protocol; what is counted and what happens beyond a limit
// is the caller's.
//
// # Nobody counts alone
//
// Whoever has one address of IPv6 has 2⁶⁴ of them, often 2⁸⁰. So an address is
// counted under several networks at once, from the subscriber to the site
// (Networks), and wider ones are allowed more.
//
// # Bounded memory
//
// A Counter has a fixed number of slots. When they are taken, the key with the
// lowest count makes room, and the newcomer takes over its count: nobody's count
// can be washed away by a flood of fresh keys, because whoever was pushed out comes
// back at no less than he had (the "space saving" counter of Metwally, Agrawal and
// El Abbadi, 2005). The price is that in a full table a stranger begins at the
// lowest count in it, which is at most the number of events in the window divided
// by the number of slots. Which keys share slots depends on a secret seed.
//
// # Kept
//
// Nothing: a restart begins anew.
package limit
