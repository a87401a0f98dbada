package refusal

// meaning is what a row of the table means.
type meaning struct {
	fault             Fault
	cause, cure       Text
	link              string
	slowDown, blocked bool
}

// meanings are what refusals mean, by the key that rows have.
var meanings = map[string]meaning{
	"blocked": {
		fault: OurAddress, blocked: true,
		cause: Text{"The other side does not take mail from the IP address of this server.",
			"Le serveur distant n’accepte pas de courrier venant de l’adresse IP de ce serveur."},
		cure: Text{"The postmaster should find out why (a compromised account, a neighbour in the network, a new address), mend it, and ask for removal from the list.",
			"L’administrateur doit en trouver la cause (compte compromis, voisin de réseau, adresse neuve), y remédier, puis demander le retrait de la liste."},
	},
	"slow": {
		fault: OurPace, slowDown: true,
		cause: Text{"The other side finds that this server sends too much, or too fast.",
			"Le serveur distant trouve que ce serveur envoie trop, ou trop vite."},
		cure: Text{"The server slows down and goes on trying by itself; nothing has to be done.",
			"Le serveur ralentit et continue d’essayer de lui-même ; il n’y a rien à faire."},
	},
	"unknown": {
		fault: Recipient,
		cause: Text{"There is no such mailbox at the recipient’s provider.",
			"Cette boîte aux lettres n’existe pas chez le fournisseur du destinataire."},
		cure: Text{"Please check how the address is written, or ask the recipient for the right one.",
			"Veuillez vérifier l’orthographe de l’adresse, ou demander la bonne au destinataire."},
	},
}
