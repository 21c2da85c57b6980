// How the dashboard asks the API, which is the one that sent this page. The token
// lives in a variable of this file only: never in storage, in the URL, or in the
// page.
import { notice } from "./dom.js";

let token = "";
let self = null;

export const who = () => self?.name || "";

// can tells whether the token has a scope. The API has the last word.
export const can = (scope) => Boolean(self?.scopes.includes(scope));

// canTouchAll tells whether it is limited to no connections.
export const canTouchAll = () => self?.connections.length === 0;

// signIn takes a token, and returns what is wrong with it.
export async function signIn(value) {
	token = value;
	const { answer, error } = await ask("GET", "token");
	if (error) {
		token = "";
		return error;
	}
	self = answer.data;
	return null;
}

export function signOut() {
	token = "";
	self = null;
	window.dispatchEvent(new Event("signedout"));
}

// ask sends a request, and returns {answer, etag} or {error}.
export async function ask(method, path, { query, body, match } = {}) {
	const url = new URL(`../${path}`, document.baseURI);
	for (const [name, value] of Object.entries(query || {})) {
		if (value !== "" && value !== null && value !== undefined) {
			url.searchParams.set(name, value);
		}
	}
	const headers = { Authorization: `Bearer ${token}` };
	if (body) {
		headers["Content-Type"] = "application/json";
	}
	if (match) {
		headers["If-Match"] = match;
	}
	try {
		const res = await fetch(url, { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer", redirect: "error" });
		const answer = await res.json();
		if (res.ok) {
			return { answer, etag: res.headers.get("ETag") };
		}
		if (res.status === 401 && self) {
			signOut();
			notice("The token is not valid any more.");
		}
		return { error: { ...answer.error, status: res.status } };
	} catch {
		return { error: { code: "network_error", message: "The server cannot be reached.", status: 0 } };
	}
}

// explain says what an error means to the person who acted.
export function explain(error) {
	switch (error.status) {
	case 403:
		return `The token may not do that: ${error.message}`;
	case 412:
		return "Somebody else changed it meanwhile. Nothing was saved.";
	}
	return error.message;
}

export const integrationPath = (key, below = "") => `integrations/${encodeURIComponent(key)}${below}`;
export const connectionPath = (id, below = "") => `connections/${encodeURIComponent(id)}${below}`;
