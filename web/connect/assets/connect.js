// The Connect page. The token and the key live in variables only: never in
// storage, in the URL, or in the page's text. Everything is asked of the server
// that sent this page, whatever a link says (apiURL).
"use strict";

const query = new URLSearchParams(location.search);
const framed = window.parent !== window;
const parents = document.querySelector("meta[name=parents]").content.split(" ").filter(Boolean);
const $ = (id) => document.getElementById(id);

let token = "";
let chosen = null; // the integration
let reconnecting = false;
let several = false;
let trimmed = false; // what was pasted

// Language and theme.

const wanted = [query.get("lang"), ...navigator.languages].filter(Boolean).map((l) => l.slice(0, 2).toLowerCase());
const lang = wanted.find((l) => Object.hasOwn(texts, l)) || "en";
const say = (key, name = "") => texts[lang][key].replace("{name}", () => name);

function dress() {
	document.documentElement.lang = lang;
	document.documentElement.classList.toggle("framed", framed);
	const theme = query.get("theme");
	if (theme === "light" || theme === "dark") {
		document.documentElement.dataset.theme = theme;
	}
	for (const e of document.querySelectorAll("[data-text]")) {
		e.textContent = say(e.dataset.text);
	}
	for (const e of document.querySelectorAll("[data-label]")) {
		e.setAttribute("aria-label", say(e.dataset.label));
	}
	$("close").hidden = !framed;
	$("finish").hidden = !framed;
}

// The page around this one, when there is one. It is told to the configured
// origins only: a browser delivers none of it elsewhere.

function tell(message) {
	if (framed) {
		for (const origin of parents) {
			window.parent.postMessage(message, origin);
		}
	}
}

window.addEventListener("message", (event) => {
	if (event.source !== window.parent || !framed || !parents.includes(event.origin)) {
		return;
	}
	if (event.data?.type === "session_token" && typeof event.data.sessionToken === "string") {
		begin(event.data.sessionToken);
	}
});

// Screens.

function screen(id) {
	for (const s of document.querySelectorAll("section")) {
		s.hidden = s.id !== id;
	}
	const head = document.querySelector(`#${id} h1`);
	document.title = head?.textContent || document.title;
	head?.focus();
}

function message(what, why, retry) {
	$("what").textContent = say(what);
	$("why").textContent = say(why);
	$("retry").hidden = !retry;
	screen("message");
}

// end shows why a token is of no use any more. It tells whether it did.
function end(code) {
	const what = {
		connect_session_expired: "expired", connect_session_used: "used", connect_session_blocked: "blocked",
		unknown_connect_session_token: "bad", missing_auth_header: "bad",
	}[code];
	if (what) {
		message(what, "ask", false);
	}
	return Boolean(what);
}

function list(all) {
	$("integrations").replaceChildren(...all.map((integration) => {
		const item = document.createElement("li");
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = integration.display_name;
		button.addEventListener("click", () => form(integration));
		item.append(button);
		return item;
	}));
	screen("list");
}

function form(integration) {
	chosen = integration;
	$("title").textContent = say("title", integration.display_name);
	$("label").textContent = integration.credentials_label.apiKey;
	$("again").hidden = !reconnecting;
	$("back").hidden = !several;
	$("help").textContent = integration.connect?.help_text || "";
	const url = link(integration.connect?.help_url);
	if (url) {
		const a = document.createElement("a");
		a.href = url;
		a.target = "_blank";
		a.rel = "noopener noreferrer";
		a.textContent = say("help");
		$("help").append($("help").textContent ? "\n" : "", a);
	}
	$("key").value = "";
	trimmed = false;
	reveal(false);
	fault("");
	screen("form");
	$("key").focus();
}

// link returns an https URL, and nothing for any other text.
function link(s) {
	try {
		return new URL(s).protocol === "https:" ? s : "";
	} catch {
		return "";
	}
}

function reveal(shown) {
	$("key").type = shown ? "text" : "password";
	$("show").title = say(shown ? "hide" : "show");
	$("show").setAttribute("aria-label", $("show").title);
}

function fault(text) {
	$("error").textContent = text;
	$("note").textContent = "";
	$("key").toggleAttribute("aria-invalid", false);
	if (text) {
		$("key").setAttribute("aria-invalid", "true");
		$("key").focus();
	}
}

// Requests.

async function ask(method, path, body) {
	const headers = { Authorization: `Bearer ${token}` };
	if (body) {
		headers["Content-Type"] = "application/json";
	}
	try {
		const res = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" });
		const answer = await res.json();
		return res.ok ? { answer } : { error: answer.error };
	} catch {
		return { error: { code: "network_error", message: "The server cannot be reached" } };
	}
}

async function begin(t) {
	token = t;
	screen("loading");
	const session = await ask("GET", "connect/session");
	const all = session.error ? session : await ask("GET", "integrations");
	if (all.error) {
		tell({ type: "error", payload: { errorType: all.error.code, errorMessage: all.error.message } });
		if (!end(all.error.code)) {
			message("broken", all.error.code === "too_many_failures" ? "often" : "wait", true);
		}
		return;
	}
	reconnecting = session.answer.data.isReconnecting;
	const found = all.answer.data;
	several = found.length > 1;
	if (found.length === 0) {
		message("bad", "ask", false);
		return;
	}
	$("back").onclick = () => list(found);
	if (several) {
		list(found);
		return;
	}
	form(found[0]);
}

const blank = /^[\s\u200b\ufeff]+|[\s\u200b\ufeff]+$/g;

async function enter() {
	const key = $("key").value.replace(blank, "");
	if (!key) {
		fault(say("empty"));
		return;
	}
	fault("");
	$("submit").setAttribute("aria-busy", "true");
	const { answer, error } = await ask("POST", `api-auth/api-key/${encodeURIComponent(chosen.unique_key)}`, { apiKey: key });
	$("submit").removeAttribute("aria-busy");
	if (error) {
		tell({ type: "error", payload: { errorType: error.code, errorMessage: error.message } });
		refused(error, key);
		return;
	}
	$("trimmed").hidden = !trimmed && !answer.trimmed;
	$("done").textContent = say("ready", chosen.display_name);
	$("key").value = "";
	$("form").remove(); // with whatever a browser keeps of a field
	token = "";
	screen("success");
	tell({ type: "connect", payload: { connectionId: answer.connectionId, providerConfigKey: answer.providerConfigKey } });
}

function refused(error, key) {
	if (end(error.code)) {
		$("key").value = "";
		return;
	}
	const why = { connection_test_failed: "rejected", too_many_failures: "often", invalid_body: key.length > 8192 ? "long" : "inside" }[error.code] || "away";
	fault(say(why, chosen.display_name));
}

// What is pasted is trimmed before it is in the field, where a line end in the
// middle would vanish without a word and leave another key.
$("key").addEventListener("paste", (event) => {
	const text = event.clipboardData?.getData("text");
	if (!text) {
		return;
	}
	event.preventDefault();
	const key = text.replace(blank, "");
	if (/[\u0000-\u001f\u007f]/.test(key)) {
		fault(say("inside"));
		return;
	}
	trimmed = key !== text;
	fault("");
	$("note").textContent = trimmed ? say("trimmed") : "";
	$("key").setRangeText(key, $("key").selectionStart, $("key").selectionEnd, "end");
});

$("entry").addEventListener("submit", (event) => {
	event.preventDefault();
	if ($("submit").getAttribute("aria-busy") !== "true") {
		enter();
	}
});
$("show").addEventListener("click", () => reveal($("key").type === "password"));
$("close").addEventListener("click", () => tell({ type: "close" }));
$("finish").addEventListener("click", () => tell({ type: "close" }));
$("retry").addEventListener("click", () => begin(token));

dress();
const linked = new URLSearchParams(location.hash.slice(1)).get("session_token") || query.get("session_token");
if (linked) {
	query.delete("session_token");
	history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : "")); // out of the address, and of the history
	begin(linked);
} else if (framed && parents.length) {
	tell({ type: "ready" });
} else {
	message("bad", "ask", false);
}
