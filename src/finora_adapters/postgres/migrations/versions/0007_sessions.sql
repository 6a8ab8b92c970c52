grant update (agent, network) on finora.session to finora_api;

grant update (agent, network) on finora.session to finora_worker;
