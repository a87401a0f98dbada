// Package dns asks the DNS what a mail server wants to know: where mail for a
// domain goes (MX, A, AAAA), what a domain says of itself (TXT), and what a
// client is called (PTR, confirmed forwards).
//
// It is a stub resolver: it sends its questions to the recursive servers of the
// configuration or of /etc/resolv.conf, by UDP with EDNS0, and by TCP where the
// answer was truncated. Against answers of others each question has a fresh port, a
// random id and its letters in random case; a server that does not repeat the case is
// asked again by TCP. A server that was silent is asked last for half a minute. To
// validate DNSSEC is the servers' work, and so is what that costs.
//
// # Answers
//
// Every question has one of three answers (see base/lookup). NXDOMAIN and an
// empty answer (NODATA) are NotFound: somebody said so. A server that fails,
// refuses, is silent or talks nonsense is TryAgain, and so are a CNAME loop and
// a chain of more than eight: none of them says that a name does not exist, so
// none may bounce mail. Only the first kind is remembered; an outage leaves
// nothing behind when it ends.
//
// # Limits
//
// Each question to each server has a deadline, and so has the whole of a
// look-up. A name is followed over at most 8 CNAMEs; 20 MX records and 10 PTR
// records are looked at; WithBudget bounds the questions of one piece of work, those
// for the links of a chain included. At most 1024 look-ups are under way at a time, each
// with one socket, and no more than an eighth of them are about one domain; others wait.
// The cache is bounded in bytes, gives up what was used least recently, honours
// TTLs between its caps, and lets no single domain hold more than an eighth.
// Equal questions asked at the same time are asked once.
//
// # Trust
//
// Names in answers come from strangers. Host names are handed out only when they
// are letters, digits, hyphens, underscores and dots. The AD bit is believed
// only with Config.TrustAD, which is for a validating server that is reached
// over a path nobody else can write to.
package dns
