// Of signing in and the account: passkeys, the way back from an issuer, the menu, copying.
"use strict";

(() => {
  // --- passkeys: the server speaks JSON with base64url, the browser bytes ---

  const bytes = (text) => Uint8Array.from(
    atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (listed) => (listed ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

  function asked(options) {
    const asked = { ...options, challenge: bytes(options.challenge) };
    if (options.user) asked.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) asked.excludeCredentials = named(options.excludeCredentials);
    if (options.allowCredentials) asked.allowCredentials = named(options.allowCredentials);
    return asked;
  }

  function answered(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return {
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
    };
  }

  const PROBLEMS = {
    NotAllowedError: "It was broken off, or took too long. Try again.",
    InvalidStateError: "This device has a passkey of yours already.",
  };

  async function prove(form) {
    const answer = await fetch(form.dataset.options, { method: "POST" });
    // Signed out meanwhile, or to be confirmed first.
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) throw new Error(answer.status === 429
      ? "Too many tries from your network. Try again later." : "The server could not do that now. Try again.");
    const { options, ticket } = await answer.json();
    const credential = await navigator.credentials[form.dataset.passkey]({ publicKey: asked(options) });
    form.elements.ticket.value = ticket;
    form.elements.response.value = JSON.stringify(answered(credential));
    form.submit();
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      const problem = form.querySelector("[data-problem]");
      problem.textContent = "";
      button.disabled = true;
      try {
        await prove(form);
      } catch (error) {
        problem.textContent = PROBLEMS[error.name] ?? error.message;
      }
      button.disabled = false;
    });
  }

  // --- back from an issuer: the page goes on by itself ---

  document.querySelector("form[data-go]")?.submit();

  // --- the menu closes by itself ---

  const menu = document.querySelector("details.menu");
  if (menu) {
    document.addEventListener("click", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  // --- copying what is shown once ---

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(field.value);
        button.textContent = "Copied";
      } catch {
        field.select();
      }
    });
  }
})();
