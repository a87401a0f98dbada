package dsn

func english() vocabulary {
	return vocabulary{
		tag: "en",
		happens: map[Action]string{
			Failed:    "It could not be delivered to:",
			Delayed:   "It could not be delivered yet to:",
			Delivered: "It was delivered to:",
			Relayed:   "It was passed on to another server, which may not tell what becomes of it, for:",
			Expanded:  "It was sent on to the members of:",
		},
		said:  "The server %s said: %s",
		ours:  "The reason: %s",
		link:  "More about it: %s",
		until: "Further attempts are made until %s.",
		reasons: map[string]string{
			"1.1":  "There is no such address. Please check how it is written.",
			"1.2":  "There is no such domain. Please check how the part behind the @ is written.",
			"1.3":  "The address is not written as an address should be.",
			"1.10": "The domain takes no mail.",
			"2.1":  "The mailbox is closed.",
			"2.2":  "The mailbox is full.",
			"2.3":  "The message is too large for the mailbox.",
			"3.4":  "The message is too large for the server.",
			"4.1":  "The server did not answer.",
			"4.2":  "The connection to the server broke.",
			"4.4":  "It could not be found out where mail for the domain goes.",
			"4.6":  "The message was going round in a circle.",
			"4.7":  "It did not get there in the time that it had.",
			"6.3":  "The message has characters that the server can not take.",
			"6.7":  "The message or an address has characters that the server can not take.",
			"7.1":  "The server does not take this message.",
			"7.30": "The message was to travel encrypted all the way, and a server on it does not promise that.",
		},
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
		when:   "%[1]d %[2]s %[3]d at %[4]s",
	}
}
