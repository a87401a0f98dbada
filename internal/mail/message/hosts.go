package message

// maxHosts is how many names Hosts gives.
const maxHosts = 100

// Hosts gives what stands behind each "@" of an address list, outside of quotes
// and comments, whether or not ParseAddresses takes it for a part of an address:
// in "boss@bank.example <x@evil.example>" the first is a part of the name. What it
// gives beyond the hosts of the addresses is what a careless reader might believe.
func Hosts(value string) []string {
	var hosts []string
	t := tokens{s: value}
	for t.at < len(t.s) && len(hosts) < maxHosts {
		switch t.s[t.at] {
		case '"':
			t.quoted()
		case '(':
			t.at = CommentEnd(t.s, t.at)
		case '@':
			t.at++
			t.skipCFWS()
			start := t.at
			for t.at < len(t.s) && t.s[t.at] != '[' && !isSpecial(t.s[t.at]) {
				t.at++
			}
			if t.at > start {
				hosts = append(hosts, t.s[start:t.at])
			}
		default:
			t.at++
		}
	}
	return hosts
}
