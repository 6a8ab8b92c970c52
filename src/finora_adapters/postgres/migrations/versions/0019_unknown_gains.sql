-- Days that are there are made anew when anything of them changes; until then they say what they said.
alter table finora.portfolio_day add column gainless integer default 0 not null;
