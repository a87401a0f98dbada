// Package tlspolicy decides what TLS a connection to another mail server has to have,
// from what the admin set, what the destination's domain publishes (MTA-STS, RFC 8461)
// and what its hosts publish (DANE, RFC 7672), and checks what it got.
//
// # Who decides
//
// An entry of the admin's for the destination (Rules) decides alone. Without one:
//
//  1. DANE, where the resolver's word on DNSSEC is trusted, MX records and addresses of
//     a host are validated, and it has TLSA records: TLS with a certificate that they
//     name, or nothing. Where all of the records are of a kind that we can't use: TLS,
//     whoever the host proves to be. Where it can't be told whether there are any, the
//     host is not used at this time.
//  2. MTA-STS, where the domain has a policy of mode "enforce": only hosts that it
//     names, under TLS with a certificate that the public authorities signed for the
//     host's name, or nothing. A host that has DANE is left to that.
//  3. The default level: "may" is TLS if it is offered and works.
//
// Nothing makes a decision weaker afterwards. What a host does not offer at the moment
// is a Refusal, which is temporary: another host is tried, and the message waits.
//
// # On the wire
//
// TXT records of _mta-sts.DOMAIN tell that there is a policy, and which; one GET of
// https://mta-sts.DOMAIN/.well-known/mta-sts.txt brings it: certificate checked, no
// redirect, no proxy, at most 64 KiB in 60 seconds, from a public address only, which is
// checked when the connection is made and not before. Nobody is asked more often than
// every five minutes. A policy counts until its max_age is over, whatever becomes of the
// record and the web server meanwhile; those in use are fetched again each day.
//
// # Limits
//
// MaxPolicies are remembered, and written down by whoever keeps them (Config.Save).
// What is evicted or lost is fetched again with the next message, as for a domain that
// was never met.
package tlspolicy
