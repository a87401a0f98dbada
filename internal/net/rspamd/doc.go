// Package rspamd asks rspamd what it makes of a letter, by HTTP as its clients do.
//
//	we      POST /checkv2, with the envelope in fields: From, Rcpt, IP, Helo, Hostname,
//	        User, Queue-Id; the letter is the body
//	rspamd  {"action": "add header", "score": 7.1, "required_score": 15.0,
//	         "symbols": {"BAYES_SPAM": {"score": 5.1, …}, …}}
//
// GET /ping is answered with "pong".
//
// Invariants. The letter is sent as it is read. An answer is read up to 1 MiB; what is not
// such an object with a score and an action is an error, and so is a score that is no finite
// number. No redirect is followed, no proxy is used. What a stranger wrote goes into fields
// without control characters, and names of symbols come out in printable ASCII. Every wait
// ends with the context.
package rspamd
