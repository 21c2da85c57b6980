// The dashboard: who is signed in, and which view is shown.
import { signIn, signOut, who, explain } from "./api.js";
import { h, notice, view } from "./dom.js";
import { overview } from "./overview.js";
import { integrations } from "./integrations.js";
import { integration } from "./integration.js";
import { connection } from "./connection.js";

// Whoever looks sees within two seconds what became known.
const refreshEvery = 1500;

const main = document.getElementById("main");
const bar = document.getElementById("bar");
let shown = 0; // counts views, so that a late answer finds another one there
let refresh = null;

// route returns the view that the address names. Names in it are encoded.
function route() {
	const [place, ...names] = location.hash.replace(/^#\/?/, "").split("/").map((s) => {
		try {
			return decodeURIComponent(s);
		} catch {
			return s;
		}
	});
	if (place === "integrations" && names.length === 0) {
		return integrations();
	}
	if (place === "new") {
		return integration(null);
	}
	if (place === "integrations") {
		return integration(names[0]);
	}
	if (place === "connections" && names.length === 2) {
		return connection(names[0], names[1]);
	}
	return overview();
}

async function show() {
	if (!who()) {
		return;
	}
	const number = ++shown;
	refresh = null;
	for (const a of bar.querySelectorAll("nav a")) {
		const here = a.hash === "#/" ? !/^#\/(integrations|new|connections)/.test(location.hash) : /^#\/(integrations|new|connections)/.test(location.hash);
		a.toggleAttribute("aria-current", false);
		if (here) {
			a.setAttribute("aria-current", "page");
		}
	}
	const next = await route();
	if (number !== shown) {
		return;
	}
	if (next.error) {
		main.replaceChildren(h("h1", { tabindex: "-1" }, next.error.status === 404 ? "It is not there" : "This cannot be shown"), h("p", { role: "alert" }, explain(next.error)));
	} else {
		main.replaceChildren(...next.content);
		refresh = next.refresh;
	}
	const head = main.querySelector("h1");
	document.title = `${head.textContent} – API keys`;
	head.focus();
}

function leave() {
	shown++;
	refresh = null;
	for (const d of document.querySelectorAll("dialog")) {
		d.remove();
	}
	bar.hidden = true;
	const error = h("p", { class: "error", role: "alert" });
	const input = h("input", { id: "token", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true });
	const form = h("form", { class: "card narrow", autocomplete: "off", novalidate: true },
		h("h1", { tabindex: "-1" }, "API keys"),
		h("label", { for: "token" }, "Token of the API"), input, error,
		h("p", { class: "hint" }, "It is kept in this page only, until you sign out, reload or close it."),
		h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Sign in")));
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const value = input.value.trim();
		const wrong = value ? await signIn(value) : { message: "Enter a token.", status: 0 };
		if (wrong) {
			error.textContent = wrong.status === 401 ? "There is no such token." : wrong.message;
			input.focus();
			return;
		}
		input.value = "";
		form.remove(); // with whatever a browser keeps of a field
		notice("");
		document.getElementById("who").textContent = who();
		bar.hidden = false;
		show();
	});
	document.title = "API keys";
	main.replaceChildren(form);
	input.focus();
}

document.getElementById("leave").addEventListener("click", signOut);
document.getElementById("skip").addEventListener("click", (event) => {
	event.preventDefault(); // the address is the view's
	main.focus();
});
window.addEventListener("signedout", leave);
window.addEventListener("hashchange", () => {
	notice("");
	show();
});
view.reload = show;
let refreshing = false;
setInterval(async () => {
	if (refresh && !refreshing && document.visibilityState === "visible" && !document.querySelector("dialog")) {
		refreshing = true; // a slow answer is waited for
		await refresh();
		refreshing = false;
	}
}, refreshEvery);
leave();
