// What the page says. {name} is the integration's.
"use strict";

const texts = {
	en: {
		loading: "Loading…", pick: "What do you want to connect?", title: "Connect {name}", back: "Back", show: "Show", hide: "Hide", connect: "Connect",
		help: "Where do I find it?", again: "Enter a new key for this connection.", trimmed: "Spaces around the key were removed.",
		promise: "The key goes straight into a vault. Nobody sees it again.", done: "Connected", ready: "{name} is ready to use. You can close this page.", finish: "Done", close: "Close", retry: "Try again",
		empty: "Enter the key.", inside: "The key has a line break or another character that keys cannot have. Copy it once more.", long: "The key is too long.",
		rejected: "{name} does not accept this key. Check it and try again.", away: "The key cannot be stored at the moment. Nothing is lost: try again.",
		expired: "This link has expired", used: "This link was used already", blocked: "This link was tried too often", bad: "This link does not work", ask: "Ask for a new link where you got this one.",
		broken: "Something is not working", wait: "Try again in a moment.", often: "There were too many tries from your network. Wait some minutes and try again.",
	},
	de: {
		loading: "Wird geladen…", pick: "Was möchten Sie verbinden?", title: "{name} verbinden", back: "Zurück", show: "Anzeigen", hide: "Verbergen", connect: "Verbinden",
		help: "Wo finde ich ihn?", again: "Geben Sie einen neuen Schlüssel für diese Verbindung ein.", trimmed: "Leerzeichen um den Schlüssel wurden entfernt.",
		promise: "Der Schlüssel kommt direkt in einen Tresor. Niemand sieht ihn wieder.", done: "Verbunden", ready: "{name} ist bereit. Sie können diese Seite schließen.", finish: "Fertig", close: "Schließen", retry: "Noch einmal",
		empty: "Geben Sie den Schlüssel ein.", inside: "Im Schlüssel ist ein Zeilenumbruch oder ein unzulässiges Zeichen. Kopieren Sie ihn noch einmal.", long: "Der Schlüssel ist zu lang.",
		rejected: "{name} nimmt diesen Schlüssel nicht an. Prüfen Sie ihn und versuchen Sie es noch einmal.", away: "Der Schlüssel kann gerade nicht gespeichert werden. Nichts ist verloren: Versuchen Sie es noch einmal.",
		expired: "Dieser Link ist abgelaufen", used: "Dieser Link wurde schon benutzt", blocked: "Dieser Link wurde zu oft versucht", bad: "Dieser Link funktioniert nicht", ask: "Bitten Sie dort um einen neuen Link, wo Sie diesen bekommen haben.",
		broken: "Etwas funktioniert nicht", wait: "Versuchen Sie es gleich noch einmal.", often: "Aus Ihrem Netz gab es zu viele Versuche. Warten Sie einige Minuten und versuchen Sie es noch einmal.",
	},
	es: {
		loading: "Cargando…", pick: "¿Qué quiere conectar?", title: "Conectar {name}", back: "Volver", show: "Mostrar", hide: "Ocultar", connect: "Conectar",
		help: "¿Dónde la encuentro?", again: "Introduzca una clave nueva para esta conexión.", trimmed: "Se han quitado los espacios alrededor de la clave.",
		promise: "La clave va directamente a una caja fuerte. Nadie vuelve a verla.", done: "Conectado", ready: "{name} está listo. Puede cerrar esta página.", finish: "Listo", close: "Cerrar", retry: "Reintentar",
		empty: "Introduzca la clave.", inside: "La clave tiene un salto de línea u otro carácter que no puede tener. Cópiela otra vez.", long: "La clave es demasiado larga.",
		rejected: "{name} no acepta esta clave. Compruébela e inténtelo de nuevo.", away: "La clave no se puede guardar en este momento. No se ha perdido nada: inténtelo de nuevo.",
		expired: "Este enlace ha caducado", used: "Este enlace ya se ha usado", blocked: "Este enlace se ha intentado demasiadas veces", bad: "Este enlace no funciona", ask: "Pida un enlace nuevo donde obtuvo este.",
		broken: "Algo no funciona", wait: "Inténtelo de nuevo en un momento.", often: "Ha habido demasiados intentos desde su red. Espere unos minutos e inténtelo de nuevo.",
	},
	fr: {
		loading: "Chargement…", pick: "Que voulez-vous connecter ?", title: "Connecter {name}", back: "Retour", show: "Afficher", hide: "Masquer", connect: "Connecter",
		help: "Où la trouver ?", again: "Saisissez une nouvelle clé pour cette connexion.", trimmed: "Les espaces autour de la clé ont été retirés.",
		promise: "La clé va directement dans un coffre-fort. Personne ne la revoit.", done: "Connecté", ready: "{name} est prêt. Vous pouvez fermer cette page.", finish: "Terminé", close: "Fermer", retry: "Réessayer",
		empty: "Saisissez la clé.", inside: "La clé contient un saut de ligne ou un autre caractère interdit. Copiez-la de nouveau.", long: "La clé est trop longue.",
		rejected: "{name} n’accepte pas cette clé. Vérifiez-la et réessayez.", away: "La clé ne peut pas être enregistrée pour le moment. Rien n’est perdu : réessayez.",
		expired: "Ce lien a expiré", used: "Ce lien a déjà été utilisé", blocked: "Ce lien a été essayé trop souvent", bad: "Ce lien ne fonctionne pas", ask: "Demandez un nouveau lien là où vous avez reçu celui-ci.",
		broken: "Quelque chose ne fonctionne pas", wait: "Réessayez dans un instant.", often: "Il y a eu trop d’essais depuis votre réseau. Attendez quelques minutes et réessayez.",
	},
	ja: {
		loading: "読み込み中…", pick: "どれを接続しますか？", title: "{name} を接続", back: "戻る", show: "表示", hide: "隠す", connect: "接続する",
		help: "キーはどこにありますか？", again: "この接続の新しいキーを入力してください。", trimmed: "キーの前後の空白を取り除きました。",
		promise: "キーは直接保管庫に入り、以後だれにも表示されません。", done: "接続しました", ready: "{name} を利用できます。このページを閉じてかまいません。", finish: "完了", close: "閉じる", retry: "もう一度試す",
		empty: "キーを入力してください。", inside: "キーに改行など使えない文字が含まれています。もう一度コピーしてください。", long: "キーが長すぎます。",
		rejected: "{name} がこのキーを受け付けません。確認してもう一度お試しください。", away: "今はキーを保存できません。もう一度お試しください。",
		expired: "このリンクは期限切れです", used: "このリンクはすでに使われています", blocked: "このリンクは試行回数を超えました", bad: "このリンクは使えません", ask: "このリンクを受け取った場所で、新しいリンクを依頼してください。",
		broken: "問題が発生しました", wait: "しばらくしてからもう一度お試しください。", often: "お使いのネットワークからの試行が多すぎます。数分待ってからもう一度お試しください。",
	},
};
