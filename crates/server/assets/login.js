// The page that asks for a token.

import { fill, h } from './dom.js';
import { trouble } from './pieces.js';

// Shows the form. `enter` exchanges a token; `error` is what an earlier try came to.
export function login(place, { enter, error = null }) {
  const field = h('input', { id: 'token', name: 'token', type: 'password', autocomplete: 'current-password', spellcheck: 'false',
    autocapitalize: 'off', required: true, 'aria-describedby': 'token-where' });
  const told = h('div', { id: 'refused', role: 'alert' });
  const button = h('button', { type: 'submit', class: 'main' }, 'Log in');
  const refuse = (why) => {
    field.setAttribute('aria-invalid', 'true');
    fill(told, trouble(why, why.status === 401 ? 'This token was refused' : 'You could not be logged in'));
    field.focus();
    field.select();
  };
  const form = h('form', { class: 'card login', on: { submit: async (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!token) return;
    button.disabled = true;
    button.textContent = 'Looking…';
    try {
      await enter(token);
    } catch (why) {
      refuse(why);
    } finally {
      button.disabled = false;
      button.textContent = 'Log in';
    }
  } } },
  h('h1', null, 'Log in to kubewright'),
  h('label', { for: 'token' }, 'Token'),
  field,
  h('p', { id: 'token-where', class: 'dim' }, 'The terminal in which ', h('code', null, 'kubewright serve'), ' was started tells where the token is.'),
  told,
  button);
  fill(place, form);
  field.focus();
  if (error) refuse(error);
}
