"""Which kind of merchant a word speaks of: chains, and the common words of signs.

It gives no category, only a token that merchants of one kind share: what that kind means in a
tenant's list is learnt from its own decisions.
"""

from collections import defaultdict
from collections.abc import Mapping

_KINDS = {
    "fuel": (
        "agip applegreen aral avia bp cepsa chevron circle circlek diesel eni esso exxon "
        "filling forecourt fuel fuels galp gas gulf jet marathon mobil motor murco omv orlen "
        "petrl petro petrol petroleum pfs q8 repsol shell sunoco texaco total valero"
    ),
    "groceries": (
        "albert aldi asda auchan bakers bakery booker booths budgens butcher butchers carrefour "
        "carry cash coop costco costcutter dairy delhaize edeka farm farmfoods fish food foods "
        "fruit greengrocer grocer groceries grocery halal heijn iceland intermarche jumbo "
        "kroger leclerc lidl londis makro meat mercadona milk morrison morrisons netto nisa "
        "ocado op penny publix rewe safeway sainsbury sainsburys smkt spar supermarket "
        "supermarkets tesco trader veg waitrose walmart wholefoods"
    ),
    "restaurant": (
        "balti bar beefeater bennys bistro brewers buffet burger cafe caffe carvery catering "
        "chicken chippy coffee costa deli deliveroo diner dominos eat eatery fayre frankie "
        "greggs grill harvester hungry inn just justeat kebab kfc kitchen lounge manger "
        "mcdonald mcdonalds nandos nero noodle pizza pizzahut pret pub restaurant sandwich "
        "starbucks subway sushi takeaway takeaways tandoori tea tearoom toby ubereats wagamama "
        "wimpy"
    ),
    "hotel": (
        "accommodation airbnb booking crowne expedia hilton holiday hostel hotel hotels ibis "
        "inn jurys lodge marriott mercure novotel plaza premier radisson ramada suites "
        "travelodge yha"
    ),
    "rail_bus": (
        "bahn bus coach coaches crosscountry eurostar express lul megabus metro national oyster "
        "rail railway railways scotrail sncf station tfl train trainline trains tram travel "
        "underground virgin"
    ),
    "taxi": ("cab cabs hackney lyft minicab taxi taxis uber"),
    "air": (
        "airline airlines airport airways cook easyjet emirates flybe jet2 klm lufthansa "
        "monarch ryanair thomas thomson"
    ),
    "parking": (
        "carpark congestion dartcharge justpark m6toll mobile ncp park parking paybyphone "
        "ringgo toll"
    ),
    "vehicle": (
        "auto autocentre autoglass autos avis car cars carwash dvla enterprise europcar exhaust "
        "fit garage halfords hertz hire kwik kwikfit mot motors rental sixt tires tyre tyres "
        "vehicle vosa wash windscreen"
    ),
    "post": (
        "courier dhl fedex hermes mail office parcel parcelforce post postage postoffice royal "
        "royalmail stamps ups yodel"
    ),
    "books": (
        "abebooks blackwell book books bookshop bookshops foyles library peters press "
        "publications publishers publishing scholastic smith waterstones wh whsmith"
    ),
    "news": (
        "guardian magazine martins mccolls news newsagent newsagents newspaper newspapers "
        "subscription times"
    ),
    "marketplace": ("alibaba amazon amzn ebay etsy marketplace mktp paypal"),
    "department": (
        "99p argos bargain bargains bhs debenhams department discount dunelm home homebargains "
        "ikea john lewis littlewoods marks matalan poundland poundstretcher poundworld primark "
        "range spencer tkmaxx wilkinson wilko"
    ),
    "diy": (
        "bq builder builders building cef decorating door dulux electric electrical electricals "
        "electrics fencing garden gardens glass hardware homebase jewson lock locksmith "
        "locksmiths nursery paint paints perkins plumb plumbers plumbing rexel roofing screwfix "
        "tile tiles timber tool tools toolstation travis wickes"
    ),
    "electronics": (
        "adobe apple batteries cables carphone cartridge cartridges computer computers "
        "computing cpc currys dabs dell ebuyer electronic electronics farnell hp ink itunes "
        "maplin microsoft pc pcworld phones rs scan software toner"
    ),
    "telecom": (
        "broadband bt ee giffgaff licensing mobile o2 orange phone sky talktalk telecom "
        "telecoms telekom three tmobile tv tvlicensing vodafone"
    ),
    "stationery": (
        "card cards clinton clintons copy espo lyreco office paper paperchase print printers "
        "printing prints ryman rymans staples stationary stationers stationery viking ypo"
    ),
    "clothing": (
        "clarks clothes clothing fashion footwear jd look matalan newlook next peacocks primark "
        "shoe shoes sports sportsdirect uniform uniforms wear workwear zara"
    ),
    "toys_craft": (
        "art arts baker balloon centre consortium craft crafts early entertainer fabric fabrics "
        "game games hobby hobbycraft learning music party ross smyth smyths toy toys toysrus "
        "wool"
    ),
    "leisure": (
        "activities activity adventure alton aquarium bowl bowling centre cinema cineworld club "
        "concert farm fun gallery golf gym karting leisure life museum national odeon park play "
        "playworld pool safari sea soft swimming theatre theatres theme ticket ticketmaster "
        "tickets towers trust vue world zoo"
    ),
    "health": (
        "boots care chemist clinic dental dentist doctor health hospital lloyds lloydspharmacy "
        "medical optician opticians pharmacy specsavers superdrug vet veterinary vets"
    ),
    "beauty": ("barber barbers beauty hair hairdresser hairdressers nails salon spa"),
    "court_legal": (
        "civil court courts justice land law legal probate registry solicitor solicitors tribunal"
    ),
    "government": (
        "agency companies council crb dbs gov government hmrc house licence license licensing "
        "passport register registr registrar registration"
    ),
    "education": (
        "academy association college conference conferences course courses education exam exams "
        "institute membership nursery school schools seminar society training tuition "
        "university"
    ),
    "charity": ("charities charity cross donation foundation heart oxfam red redcross shelter"),
    "insurance": ("admiral allianz aviva axa direct insurance insurances"),
    "utilities": ("british edf electricity energy eon gas npower severn trent water"),
    "florist_gift": ("florist florists flower flowers gift gifts interflora jeweller jewellers"),
    "furniture": (
        "appliance appliances bed beds bensons carpet carpets curtains dfs furniture goods "
        "mattress upholstery washing white"
    ),
    "streaming": ("audible disney hulu netflix playstation spotify steam xbox"),
}


def _by_word() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for kind, words in _KINDS.items():
        for word in words.split():
            found[word].append(kind)
    return {word: tuple(kinds) for word, kinds in found.items()}


KINDS_OF: Mapping[str, tuple[str, ...]] = _by_word()
